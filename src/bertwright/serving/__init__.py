"""The queue that reads many requests together, the routes, the page."""
