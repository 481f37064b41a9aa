package quick

// The system calls of Linux.
const (
	sysRead       = 63
	sysWrite      = 64
	sysClose      = 57
	sysSocket     = 198
	sysConnect    = 203
	sysRecvfrom   = 207
	sysSetsockopt = 208
	sysExitGroup  = 94
)
