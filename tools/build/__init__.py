"""`forge build`: from the checkout and a package archive to one bootable image."""
