"""The face factor: engines, quality, liveness, and the pure policy that decides."""
