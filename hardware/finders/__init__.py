"""Direction finders: lines to bearings."""
