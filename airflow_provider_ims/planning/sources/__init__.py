"""Where rows come from: files of several kinds, and queries."""
