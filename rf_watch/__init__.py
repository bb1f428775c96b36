"""Readings to detections, pure: no thread, file, socket or wall clock."""
