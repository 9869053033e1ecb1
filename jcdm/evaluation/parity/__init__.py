"""Our evaluation against numbers recorded from the published scoring scripts."""
