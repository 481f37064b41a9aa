package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"agentctl/scripts/testkit"
	"agentctl/scripts/testkit/memory"
)

// kongScriptText is the event script of a Kong 0.8 for an admin API at addr.
func kongScriptText(addr string) string {
	return fmt.Sprintf("#!/bin/sh\nPAYLOAD=`cat` # Read from stdin\n"+
		`if [ "$SERF_EVENT" != "user" ]; then
  PAYLOAD="{\"type\":\"${SERF_EVENT}\",\"entity\": \"${PAYLOAD}\"}"
fi
COMMAND='require("kong.tools.http_client").post("http://%s/cluster/events/", [=['${PAYLOAD}']=], {["content-type"] = "application/json"})'
echo $COMMAND | /usr/local/bin/luajit
`, addr)
}

func TestKongsOwnScriptBecomesATarget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		gw := memory.NewGateway(t)
		addr := strings.TrimPrefix(gw.URL, "http://")
		dir := t.TempDir()
		write := func(name, text string) string {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
				t.Fatal(err)
			}
			return path
		}
		genuine := write("serf_event.sh", kongScriptText(addr))
		pipe := filepath.Join(dir, "pipe")
		makePipe(t, pipe)
		for what, isTarget := range map[string]bool{
			genuine:         true,
			genuine + " x":  false,
			"sh " + genuine: false,
			"serf_event.sh": false,
			dir:             false,
			pipe:            false,
			dir + "/none":   false,
			write("changed.sh", kongScriptText(addr)+"logger done\n"):              false,
			write("large.sh", kongScriptText(addr)+strings.Repeat("\n", 16<<10+1)): false,
		} {
			o := options(handlers("user:kong=" + what))
			set := compiled(t, o).Handlers
			if len(set.Targets)+len(set.Scripts) != 1 || (len(set.Targets) == 1) != isTarget {
				t.Errorf("%s: %+v, want a target: %v", what, set, isTarget)
			}
			o.NativeHandlers = false
			if set = compiled(t, o).Handlers; len(set.Scripts) != 1 {
				t.Errorf("%s, without native handlers: %+v", what, set)
			}
		}
		n := start(t, handlers("user:kong="+genuine))
		if s := n.sinks.configured().Targets[0]; !s.Collapse || s.Flush == nil || !s.Flush.SelfJoin || s.Filters.String() != "user:kong" {
			t.Errorf("not as Kong wants it: %+v", s)
		}
		if err := n.Publish(t.Context(), "kong", []byte("]=]"), false); err != nil {
			t.Fatal(err)
		}
		testkit.WaitFor(t, "the post", func() bool { return len(gw.Of("user")) == 1 })
		if p := gw.Of("user")[0]; p.Body != "]=]" {
			t.Errorf("posted %+v", p)
		}
		testkit.WaitFor(t, "the log to tell of it", func() bool { return n.log.Count("events are posted", genuine) == 1 })
	})
}
