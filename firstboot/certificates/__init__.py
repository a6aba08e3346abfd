"""Certificates: from an authority, renewed in time, or the owner's own."""
