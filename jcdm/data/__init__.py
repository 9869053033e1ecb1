"""From files on disk to batches: indices, keypoints, pose maps, drawn people, loaders."""
