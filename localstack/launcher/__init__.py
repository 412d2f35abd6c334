"""Starts, fills and stops the local AWS: see ../README.md. `../stack` finds an interpreter and runs this package."""
