"""Spectrum analysers and broadcast tuners: bytes to sweeps, tuner lines and RDS, without I/O.

They need numpy, which comes with the extra ``qianshao[rf]``.
"""
