package quick

const defaultAddr = "127.0.0.1:7373"

// plainBytes is serf's limit of a payload. The answer to a larger one may be more
// than yes or no.
const plainBytes = 512

// event is one to publish, and where.
type event struct {
	name, payload string
	coalesce      bool
	auth          string
	where         string  // as it was given: either
	socket        string  // a unix socket, or
	addr          [4]byte // TCP
	port          int
	serf          bool // the program is called serf
}

// parse reads a command line as "agentctl event" does, or as "serf event" where the
// program is called serf. It takes the program's name as main does: under any other name
// than serf's, and that of Kong's script, it is agentctl. ok is false for all but the
// plain case.
func parse(args []string, getenv func(string) string) (e *event, ok bool) {
	if len(args) < 3 || args[1] != "event" {
		return nil, false
	}
	program := args[0]
	for after, more := "", true; more; {
		if _, after, more = cut(program, '/'); more {
			program = after
		}
	}
	if isProgram(program, "serf_event.sh") {
		return nil, false
	}
	first := func(names ...string) string {
		for _, name := range names {
			if v := getenv(name); v != "" {
				return v
			}
		}
		return ""
	}
	e = &event{coalesce: true, serf: isProgram(program, "serf"), auth: first("SERF_RPC_AUTH", "AGENTCTL_RPC_AUTH")}
	addr := first("SERF_RPC_ADDR", "AGENTCTL_RPC_ADDR")
	if addr == "" {
		addr = defaultAddr
	}
	args = args[2:]
	for len(args) > 0 && hasPrefix(args[0], "-") {
		flag := args[0][1:]
		if hasPrefix(flag, "-") {
			flag = flag[1:]
		}
		name, value, given := cut(flag, '=')
		args = args[1:]
		if !given && name != "coalesce" { // a flag that is no bool has its value next
			if len(args) == 0 {
				return nil, false
			}
			value, args = args[0], args[1:]
		}
		switch name {
		case "coalesce":
			if !given {
				value = "true"
			}
			if e.coalesce, ok = parseBool(value); !ok {
				return nil, false
			}
		case "rpc-addr":
			addr = value
		case "rpc-auth":
			e.auth = value
		default: // "-", "--" and -payload-file among them
			return nil, false
		}
	}
	switch len(args) {
	case 1:
		e.name = args[0]
	case 2:
		e.name, e.payload = args[0], args[1]
	default:
		return nil, false
	}
	if !e.serf && (e.payload == "-" || e.name == "" || !shown(e.name)) { // standard input; refused; to be escaped
		return nil, false
	}
	if len(e.payload) > plainBytes {
		return nil, false
	}
	e.where = addr
	if hasPrefix(addr, "unix:") {
		if e.socket = addr[len("unix:"):]; e.serf {
			return nil, false // serf's commands know no such address
		}
		return e, e.socket != ""
	}
	e.addr, e.port, ok = parseAddr(addr)
	return e, ok
}

// isProgram tells whether a file has the name of a program.
func isProgram(file, name string) bool { return equalFold(file, name) || equalFold(file, name+".exe") }

// parseAddr reads an IPv4 address and port.
func parseAddr(s string) (addr [4]byte, port int, ok bool) {
	host, last, ok := cut(s, ':')
	if !ok {
		return addr, 0, false
	}
	for i := range addr {
		part, rest, more := cut(host, '.')
		n, ok := parseUint(part, 255)
		if !ok || len(part) > 1 && part[0] == '0' || more != (i < len(addr)-1) {
			return addr, 0, false
		}
		addr[i], host = byte(n), rest
	}
	port, ok = parseUint(last, 65535)
	return addr, port, ok && port > 0
}
