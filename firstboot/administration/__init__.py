"""What the container `admin` may ask the machine: a socket, typed verbs, and who is signed in."""
