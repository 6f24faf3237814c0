"""What a simulated cluster consists of: virtual time, machines, disks, clocks and the network between them."""
