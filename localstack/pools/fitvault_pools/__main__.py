"""Starts MiniStack behind `front`. Nothing of the library is changed on disk."""

import ministack.app

from fitvault_pools.front import Front

ministack.app.app = Front(ministack.app.app)
ministack.app.main()
