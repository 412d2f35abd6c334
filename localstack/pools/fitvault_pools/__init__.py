"""MiniStack's Cognito with what it lacks and our user pools need. Run it instead of `python -m ministack`."""
