"""`forge inspect`: what is in an image, read from the image itself, without root or mounting."""
