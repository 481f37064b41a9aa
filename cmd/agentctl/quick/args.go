package quick

import "strconv"

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
	path := split(args[0], '/')
	program := lower(path[len(path)-1])
	if hasSuffix(program, ".exe") {
		program = program[:len(program)-len(".exe")]
	}
	if program == "serf_event.sh" {
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
	e = &event{coalesce: true, serf: program == "serf", auth: first("SERF_RPC_AUTH", "AGENTCTL_RPC_AUTH")}
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
			b, err := strconv.ParseBool(value)
			if err != nil {
				return nil, false
			}
			e.coalesce = b
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

// parseAddr reads an IPv4 address and port. Package net/netip is not used,
// since it comes behind others in the order of initialisation.
func parseAddr(s string) (addr [4]byte, port int, ok bool) {
	host, last, ok := cut(s, ':')
	parts := split(host, '.')
	if !ok || len(parts) != len(addr) {
		return addr, 0, false
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil || len(part) > 1 && part[0] == '0' {
			return addr, 0, false
		}
		addr[i] = byte(n)
	}
	n, err := strconv.ParseUint(last, 10, 16)
	return addr, int(n), err == nil && n > 0
}
