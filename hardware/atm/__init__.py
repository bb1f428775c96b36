"""The ATM's devices and its host: XFS4IoT and ISO 8583, bytes to typed values and back."""
