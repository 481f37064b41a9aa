package rpc

import (
	"net"
	"os/exec"
	"strings"
	"testing"

	"github.com/hashicorp/serf/serf"

	"agentctl/scripts/stock"
)

// The serf program, old and new, is content with the server.
func TestStockProgram(t *testing.T) {
	a := newSerfAgent(t, "a", nil)
	t.Cleanup(a.SubscribeEvents(func(e serf.Event) {
		if q, ok := e.(*serf.Query); ok {
			if err := q.Respond([]byte("fine")); err != nil {
				t.Error(err)
			}
		}
	}))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, a, Config{AuthKey: "secret"}, ln)
	for _, version := range []string{stock.V085, stock.V011} {
		program := stock.Serf(t, version)
		for _, test := range []struct{ args, want string }{
			{"members", "alive"},
			{"members -name=(", "Failed to compile regex"},
			{"event -coalesce=false kong x", "Event 'kong' dispatched!"},
			{"query -timeout=3s ask now", "Response from 'a': fine"},
			{"reachability", "Successfully contacted all live nodes"},
			{"tags -set new=" + version, "Successfully updated agent tags"},
			{"members", "new=" + version},
			{"info", "name = a"},
			{"keys -list", "Keyring is empty"},
			{"rtt a a", "Estimated a <-> a rtt"},
			{"join 127.0.0.1:1", "refused"},
			{"force-leave nobody", ""},
		} {
			verb, rest, _ := strings.Cut(test.args, " ")
			args := append([]string{verb, "-rpc-addr=" + ln.Addr().String(), "-rpc-auth=secret"}, strings.Fields(rest)...)
			out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
			if !strings.Contains(string(out), test.want) {
				t.Errorf("serf %s (%s): no %q in (%v):\n%s", test.args, version, test.want, err, out)
			}
		}
	}
}
