package gossip

import (
	"io"
	"log"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/hashicorp/memberlist"

	"agentctl/agent/memnet"
	"agentctl/scripts/testkit"
)

// oldMember is a member that understands no more of serf's protocol than serf 0.7.0.
func oldMember(t *testing.T, network *memnet.Network, name, addr string) *memberlist.Memberlist {
	t.Helper()
	conf := memberlist.DefaultLANConfig()
	conf.Name, conf.Transport, conf.Logger = name, network.Add(addr), log.New(io.Discard, "", 0)
	conf.DelegateProtocolMin, conf.DelegateProtocolVersion, conf.DelegateProtocolMax = 2, 4, 4
	m, err := memberlist.Create(conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Shutdown(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// TestMisfit has nodes join members that do not understand each other's protocol. The
// error of a join, and the log of whoever is joined, say which setting mends that.
func TestMisfit(t *testing.T) {
	const (
		us  = "this agent announces serf protocol 5, which not every member understands: start it with -protocol=4, or set AGENTCTL_PROTOCOL=4"
		one = `member "one" announces serf protocol 5, which not every member understands: start that member with -protocol=4`
	)
	for name, tt := range map[string]struct {
		one, two     uint8  // the protocols of two nodes, which join first; 0 for no second one
		said, logged string // of the last one that joined, and in its log when the old one joins
	}{
		"as serf 0.7.0":           {one: 4},
		"all as serf 0.7.0":       {one: 4, two: 4},
		"this one":                {one: 5, said: us, logged: us},
		"another one":             {one: 5, two: 4, said: one, logged: one},
		"with a version between":  {one: 3},
		"this one, the other not": {one: 4, two: 5, said: us, logged: us},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := memnet.New(memnet.Config{})
				var text *testkit.LogBuffer // of the node that was opened last
				open := func(name, addr string, protocol uint8) *Node {
					conf := bareConfig(network, name, addr, nil)
					conf.ProtocolVersion = protocol
					text = new(testkit.LogBuffer)
					conf.Logger = remedying(log.New(text, "", 0), name)
					conf.MemberlistConfig.Logger = conf.Logger
					return openBare(t, Config{Serf: conf})
				}
				last := open("one", "10.0.0.1:7946", tt.one)
				if tt.two > 0 {
					last = open("two", "10.0.0.2:7946", tt.two)
					if _, err := last.Join([]string{"10.0.0.1:7946"}, false); err != nil {
						t.Fatal(err)
					}
				}
				const oldAddr = "10.0.0.9:7946"
				old := oldMember(t, network, "old", oldAddr)

				n, err := last.Join([]string{oldAddr}, false)
				if (err == nil) != (tt.said == "") || (n == 1) != (err == nil) {
					t.Fatalf("joined %d: %v", n, err)
				}
				if err != nil {
					first, rest, _ := strings.Cut(err.Error(), "\n")
					if !strings.HasPrefix(first, tt.said+": ") || !strings.Contains(rest, "delegate protocol version (5) is incompatible: [2, 4]") {
						t.Errorf("the error is %v\nwant %s", err, tt.said)
					}
				}
				if _, err := old.Join([]string{last.Addr()}); (err == nil) != (tt.logged == "") {
					t.Fatal(err)
				}
				synctest.Wait()
				want := 0
				if tt.logged != "" {
					want = 1
				}
				const refused = "Failed push/pull merge: "
				if text.Count(refused) != want || text.Count(refused, "; "+tt.logged) != want {
					t.Errorf("the log is\n%s\nwant %s", text, tt.logged)
				}
			})
		})
	}
}

func TestRemedy(t *testing.T) {
	text := func(name, rest string) string {
		return "[ERR] memberlist: Failed push/pull merge: Node '" + name + "' delegate protocol version " + rest + " from=1.2.3.4:5"
	}
	for _, tt := range []struct{ text, want string }{
		{"", ""},
		{text("a", "(5) is incompatible: [2, 4]"), "this agent announces serf protocol 5, which not every member understands: start it with -protocol=4, or set AGENTCTL_PROTOCOL=4"},
		{text("a", "(2) is incompatible: [3, 4]"), "this agent announces serf protocol 2, which not every member understands: start it with -protocol=3, or set AGENTCTL_PROTOCOL=3"},
		{text("it's", "(5) is incompatible: [2, 4]"), `member "it's" announces serf protocol 5, which not every member understands: start that member with -protocol=4`},
		{text("\x1b[1m", "(5) is incompatible: [2, 4]"), `member "\x1b[1m" announces serf protocol 5, which not every member understands: start that member with -protocol=4`},
		{text("a", "(5) is incompatible: [5, 4]"), ""},                                      // there is none that all understand
		{text("a", "(99999999999999999999) is incompatible: [2, 4]"), ""},                   // as no member says
		{strings.Replace(text("a", "(3) is incompatible: [1, 2]"), "delegate ", "", 1), ""}, // memberlist's own, for which there is no setting
	} {
		if got := remedy(tt.text, "a"); got != tt.want {
			t.Errorf("%s\nhas the remedy %q\nwant %q", tt.text, got, tt.want)
		}
	}
}
