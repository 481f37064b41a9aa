package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"agentctl/agent/gossip"
)

// listen opens a TCP address or a unix socket, which only its owner may use.
func listen(addr string) (net.Listener, error) {
	path, ok := strings.CutPrefix(addr, "unix:")
	if !ok {
		return net.Listen("tcp", addr)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSocket != 0 {
		// A socket that refuses is left from a crash; one that is too busy to
		// answer is not.
		conn, err := net.Dial("unix", path)
		if err == nil {
			conn.Close()
		}
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, fmt.Errorf("listen unix %s: address already in use", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	restore := privateUmask() // before the chmod below nobody else gets in either
	ln, err := net.Listen("unix", path)
	restore()
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		ln.Close()
		return nil, err
	}
	return ln, nil
}

// listenError names the port that could not be had and what to do.
func listenError(what, flag string, err error) error {
	if gossip.AddressInUse(err) {
		return fmt.Errorf("%s: %w; is an agent running already? Stop it, or choose another address with -%s", what, err, flag)
	}
	return fmt.Errorf("%s: %w", what, err)
}
