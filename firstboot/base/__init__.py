"""Values and helpers without policy: what the appliance and the build host both need."""
