"""Python imports this by its name when it starts: so processes that tests start are guarded."""

import network_guard

network_guard.install()
