package gossip

import (
	"log"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"agentctl/agent/memnet"
	"agentctl/scripts/testkit"

	"github.com/hashicorp/serf/serf"
)

// Memberlist itself says that packets to a member failed. Each of its lines tells of
// the member, and one a minute is written.
func TestUDPFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Minute) }) // probes that are under way
		network := memnet.New(memnet.Config{})
		text := new(testkit.LogBuffer)
		var failed []string
		conf := bareConfig(network, "one", "10.0.0.1:7946", nil)
		conf.MemberlistConfig.Logger = Thin(log.New(text, "", 0), func(name string) { failed = append(failed, name) })
		one := openBare(t, Config{Serf: conf})
		openBare(t, Config{Serf: bareConfig(network, "two over TCP but", "10.0.0.2:7946", nil)})
		if _, err := one.Join([]string{"10.0.0.2:7946"}, false); err != nil {
			t.Fatal(err)
		}
		network.ClosePackets("10.0.0.2:7946")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if one.State() != serf.SerfAlive || one.NumNodes() != 2 {
			t.Errorf("%v among %d", one.State(), one.NumNodes())
		}
		if n := text.Count("UDP probes failed, network may be misconfigured"); n < 9 || n > 10 {
			t.Errorf("%d lines in ten minutes, want one a minute", n)
		}
		if n := len(failed); n < 100 || text.Count(" such lines left out)") < 8 {
			t.Errorf("it was told %d times, and the log is\n%s", n, text)
		}
		if names := slices.Compact(failed); !slices.Equal(names, []string{"two over TCP but"}) {
			t.Errorf("it was told of %q", names)
		}
	})
}

// Other lines go out as they are.
func TestOtherLinesAreNotThinned(t *testing.T) {
	text := new(testkit.LogBuffer)
	logger := Thin(log.New(text, "p ", 0), func(name string) { t.Errorf("it was told of %q", name) })
	for i := range 3 {
		logger.Printf("[WARN] memberlist: Was able to connect to %d", i)
	}
	if want := "p [WARN] memberlist: Was able to connect to 0\np [WARN] memberlist: Was able to connect to 1\np [WARN] memberlist: Was able to connect to 2\n"; text.String() != want {
		t.Errorf("the log is\n%s", text)
	}
}

// A join that is tried again and again does not fill the log with the names that do not
// resolve.
func TestNamesThatDoNotResolve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := new(testkit.LogBuffer)
		conf := bareConfig(memnet.New(memnet.Config{}), "one", "10.0.0.1:7946", nil)
		conf.MemberlistConfig.Logger = Thin(log.New(text, "", 0), func(name string) { t.Errorf("it was told of %q", name) })
		one := openBare(t, Config{Serf: conf})
		for range 300 {
			if _, err := one.Join([]string{"[::1"}, false); err == nil {
				t.Fatal("it joined")
			}
			time.Sleep(time.Second)
		}
		if n, left := text.Count("failed to resolve"), text.Count("(and 59 such lines left out)"); n != 5 || left != 4 {
			t.Errorf("%d lines in 5 minutes, %d with a count:\n%s", n, left, text)
		}
	})
}
