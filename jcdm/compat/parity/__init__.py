"""Our models against numbers recorded from the published implementation."""
