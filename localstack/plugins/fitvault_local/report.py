"""Plugins report themselves to the launcher, which refuses a LocalStack that runs without one of them.

A hook that raises, or two hooks with one name, go missing without a word in LocalStack, and then every request
passes the front door. So each plugin adds its name to the file FITVAULT_PLUGINS when, and only when, it stands.
"""

import os


def report(name: str) -> None:
    with open(os.environ["FITVAULT_PLUGINS"], "a", encoding="ascii") as file:
        file.write(name + "\n")
