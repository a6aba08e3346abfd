"""`forge stack`: the very containers of the image on a Docker engine of this host, without a VM."""
