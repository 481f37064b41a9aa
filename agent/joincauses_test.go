package agent

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"agentctl/agent/api"
	"agentctl/agent/config"
	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// An agent that cannot join says at /readyz why, for each name, as the log has it.
func TestReadyzTellsWhyNobodyCouldBeJoined(t *testing.T) {
	const one, other = "cGFzc3dvcmRwYXNzd29yZA==", "d29yZHBhc3N3b3JkcGFzcw=="
	encrypted := func(key string) func(*config.Options) { return func(o *config.Options) { o.EncryptKey = key } }
	for name, tt := range map[string]struct{ here, there, want string }{
		"another key":    {one, other, "wrong key: it encrypts gossip with another"},
		"no key":         {"", other, "wrong key: it encrypts gossip, and this node has no key"},
		"a key too many": {one, "", "wrong key: it does not encrypt gossip"},
	} {
		bubble(t, func(t *testing.T) {
			there := start(t, encrypted(tt.there))
			nobody := memory.Addr()
			n := start(t, encrypted(tt.here), serveHTTP, func(o *config.Options) {
				o.RetryJoin, o.RetryInterval = []string{there.GossipAddr(), nobody}, time.Second
			})
			testkit.WaitFor(t, name, func() bool {
				status, body := n.get(t, "/readyz")
				var report api.HealthReport
				return status == http.StatusServiceUnavailable && json.Unmarshal(body, &report) == nil && len(report.Reasons) == 2 &&
					strings.HasPrefix(report.Reasons[0], "no node could be joined yet: "+there.GossipAddr()+": "+tt.want) &&
					report.Reasons[1] == "no node could be joined yet: "+nobody+": connection refused"
			})
		})
	}
}
