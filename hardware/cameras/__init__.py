"""Still cameras: frames with their origin, and the frames of a liveness challenge."""
