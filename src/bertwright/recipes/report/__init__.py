"""Runs drawn over one another on one HTML page: `report`."""
