"""The van's and fixed site's side of the agent: sniffers in, detections out."""
