package quick

// The system calls of Linux.
const (
	sysRead       = 0
	sysWrite      = 1
	sysClose      = 3
	sysSocket     = 41
	sysConnect    = 42
	sysRecvfrom   = 45
	sysSetsockopt = 54
	sysExitGroup  = 231
)
