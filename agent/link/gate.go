package link

import (
	"net"
	"sync"
)

// gate counts what is inside, in all and by remote host, and lets no more in
// than its limits. It is safe for concurrent use.
type gate struct {
	limit   int
	perHost int

	mu    sync.Mutex
	n     int
	hosts map[string]int
}

func newGate(limit, perHost int) *gate {
	return &gate{limit: limit, perHost: perHost, hosts: make(map[string]int)}
}

// enter returns nil if there is no room for conn's remote host. Otherwise what
// it returns is to be called once when conn leaves.
func (g *gate) enter(conn net.Conn) (leave func()) {
	host := hostOf(conn)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n >= g.limit || g.hosts[host] >= g.perHost {
		return nil
	}
	g.n++
	g.hosts[host]++
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.n--
		if g.hosts[host]--; g.hosts[host] == 0 {
			delete(g.hosts, host)
		}
	}
}

// hostOf is the remote address of conn without the port; whatever has no port
// is a host of its own.
func hostOf(conn net.Conn) string { return hostOfAddr(addrOf(conn)) }

func hostOfAddr(addr string) string {
	if host, _, err := net.SplitHostPort(addr); err == nil {
		return host
	}
	return addr
}

func addrOf(conn net.Conn) string {
	if a := conn.RemoteAddr(); a != nil {
		return a.String()
	}
	return ""
}
