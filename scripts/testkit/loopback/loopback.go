// Package loopback finds addresses for the programs that tests start.
package loopback

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
)

// last is how many ports Port has returned.
var last atomic.Int32

// Port returns a port that this process has not been given before, and that the
// system hands out to nobody. It does not listen there to find out: a child that
// is started at that moment would hold the port for a while longer.
func Port() string {
	return strconv.Itoa(10_000 + (os.Getpid()*200+int(last.Add(1)))%22_000)
}

// Addr returns an address of loopback that nobody else uses, with a port of Port.
// Where all of 127.0.0.0/8 is this machine, its IP is of this process.
func Addr() string {
	ip := "127.0.0.1"
	if runtime.GOOS == "linux" {
		pid := os.Getpid()
		ip = fmt.Sprintf("127.%d.%d.1", 64+pid>>8&63, pid&255)
	}
	return net.JoinHostPort(ip, Port())
}
