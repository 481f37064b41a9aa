package rpc

import (
	"os/exec"
	"strings"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/proc"
	"agentctl/scripts/testkit/stock"
)

// The serf program, old and new, is content with an agent of ours.
func TestStockProgram(t *testing.T) {
	eachRelease(t, func(t *testing.T, version string) {
		program := stock.Serf(t, version)
		a := proc.NewAgent(t, "a", "-config-file="+testkit.WriteFile(t, `{"rpc_auth": "secret"}`), "-event-handler=query:ask=printf fine")
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
			args := append([]string{verb, "-rpc-addr=" + a.RPC, "-rpc-auth=secret"}, strings.Fields(rest)...)
			out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
			if !strings.Contains(string(out), test.want) {
				t.Errorf("serf %s: no %q in (%v):\n%s", test.args, test.want, err, out)
			}
		}
	})
}
