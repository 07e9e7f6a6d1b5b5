"""How an instance's interface meets br-int: the part that a hypervisor's VIF driver plays."""
