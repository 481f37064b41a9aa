// Package leaks makes a test program fail if goroutines of its tests live on.
package leaks

import (
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines may take to end. Those of serf and memberlist
// end some seconds after a shutdown: probes under way, and queries whose time has
// to run out.
const patience = time.Minute

// Main runs the tests of m, and exits: with status 1 where goroutines are left
// over although all tests have passed.
func Main(m *testing.M) {
	code := m.Run()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	leak := goleak.Find()
	for end := time.Now().Add(patience); leak != nil && time.Now().Before(end); {
		leak = goleak.Find() // which waits for a while itself
	}
	if leak != nil && code == 0 {
		fmt.Fprintln(os.Stderr, "goroutines are left over:", leak)
		code = 1
	}
	os.Exit(code)
}
