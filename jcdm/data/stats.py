"""Count what an index holds, and draw the counts."""

from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from jcdm.data.index import index_identity, read_index
from jcdm.data.keypoints import JOINT_NAMES


def index_stats(path: Path | str) -> dict[str, Any]:
    """Count an index: subjects and views a split, views a subject, joints seen; ready for JSON."""
    records = read_index(path)
    views = [view for record in records for view in record.views]
    counts = [len(record.views) for record in records]
    seen = np.mean([view.keypoint_valid for view in views], axis=0)
    splits = {
        split: {
            "num_subjects": sum(r.split == split for r in records),
            "num_views": sum(len(r.views) for r in records if r.split == split),
        }
        for split in dict.fromkeys(record.split for record in records)
    }
    sides = Counter(side for view in views if isinstance(side := view.tags.get("side"), str))
    return {
        **index_identity(path),
        "splits": splits,
        "views_a_subject": {"min": min(counts), "median": median(counts), "max": max(counts)},
        "subjects_by_views": {str(n): c for n, c in sorted(Counter(counts).items())},
        "views_by_side": dict(sides.most_common()),
        "num_pose_maps": sum(view.pose_map is not None for view in views),
        "num_views_without_joints": sum(not view.keypoint_valid.any() for view in views),
        "share_of_joints_seen": round(float(seen.mean()), 4),
        "share_seen_by_joint": {
            name: round(float(share), 4) for name, share in zip(JOINT_NAMES, seen, strict=True)
        },
    }
