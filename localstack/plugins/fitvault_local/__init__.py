"""What LocalStack 4.14 lacks to stand in for AWS: see ../../README.md.

LocalStack finds the plugins by the entry points in fitvault_local-1.0.dist-info, with this folder on PYTHONPATH.
"""
