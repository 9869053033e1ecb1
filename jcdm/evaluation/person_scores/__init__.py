"""Scores that look at the person: masked, face and garment scores, pose, CLIP, agreement of views.

Each is a `PairScorer`, but for the scores of sets of views; docs/metrics.md has their formulas.
"""
