package logs

import (
	"fmt"
	"log/slog"
)

// wording is how stock serf says what one of our lines says. People search for these
// texts, so an agent that stands in for serf writes them, at serf's level, in place
// of ours. Our parts know nothing of it: they log their own message with its
// attributes, and the hub looks the message up here if its format is "serf".
type wording struct {
	level  slog.Level
	format string   // as in serf's source; "" for a line of ours that another one says already
	args   []string // the attributes that the format takes, in its order
	each   bool     // serf writes each such line, so [Sampled] leaves none out
}

// serfWords has the wording of each of our messages that stock serf says too. A line
// that stands nowhere here is one that stock serf does not have, and keeps our words.
// A test compares the table with serf's source, and each row with the call that logs
// the message.
var serfWords = map[string]wording{
	// The agent's life.
	"starting":                 {slog.LevelInfo, "agent: Serf agent starting", nil, true},
	"tags restored":            {slog.LevelInfo, "agent: Restored %d tag(s) from %s", []string{"tags", "file"}, true},
	"keyring restored":         {slog.LevelInfo, "agent: Restored keyring with %d keys from %s", []string{"keys", "file"}, true},
	"tags are not kept":        {slog.LevelError, "agent: %s", []string{"error"}, true},
	"leaving the cluster":      {slog.LevelInfo, "agent: requesting graceful leave from Serf", nil, true},
	"shutting serf down":       {slog.LevelInfo, "agent: requesting serf shutdown", nil, true},
	"serf has ended by itself": {slog.LevelWarn, "agent: Serf shutdown detected, quitting", nil, true},
	"stopped":                  {slog.LevelInfo, "agent: shutdown complete", nil, true},

	// Joins.
	"joining":                          {slog.LevelInfo, "agent: joining: %v replay: %v", []string{"addrs", "replay"}, true},
	"joined":                           {slog.LevelInfo, "agent: joined: %d nodes", []string{"contacted"}, true},
	"join failed":                      {slog.LevelWarn, "agent: error joining: %v", []string{"error"}, true},
	"joined the cluster":               {},
	"joining by retry-join":            {slog.LevelInfo, "agent: Joining cluster...(replay: %v)", []string{"replay"}, true},
	"joined the cluster by retry-join": {slog.LevelInfo, "agent: Join completed. Synced with %d initial agents", []string{"contacted"}, true},
	"joining failed, trying again":     {slog.LevelWarn, "agent: Join failed: %v, retrying in %v", []string{"serf_error", "in"}, true},
	"retry-join: no attempts are left": {slog.LevelError, "agent: maximum retry join attempts made, exiting", nil, true},
	"mdns: listening on an interface":  {slog.LevelInfo, "agent: Starting mDNS listener on interface %s", []string{"interface"}, true},
	"mdns: joined peers":               {slog.LevelInfo, "agent.mdns: Joined %d hosts", []string{"contacted"}, true},
	"mdns: peers could not be joined":  {slog.LevelError, "agent.mdns: Failed to join: %v", []string{"error"}, true},
	"mdns: looking for peers failed":   {slog.LevelError, "agent.mdns: Failed to poll for new hosts: %v", []string{"error"}, true},

	// What clients ask for.
	"forcing a node to leave":                 {slog.LevelInfo, "agent: Force leaving node: %s", []string{"node"}, true},
	"forcing a node out":                      {slog.LevelInfo, "agent: Force leaving node (prune): %s", []string{"node"}, true},
	"a node was not forced to leave":          {slog.LevelWarn, "agent: failed to remove node: %v", []string{"error"}, true},
	"a node was not forced out":               {slog.LevelWarn, "agent: failed to remove node (prune): %v", []string{"error"}, true},
	"publishing":                              {slog.LevelDebug, "agent: Requesting user event send: %s. Coalesced: %#v. Payload: %#v", []string{"event", "coalesce", "payload"}, true},
	"an event was not published":              {slog.LevelWarn, "agent: failed to send user event: %v", []string{"error"}, false},
	"sending a query":                         {slog.LevelDebug, "agent: Requesting query send: %s. Payload: %#v", []string{"query", "payload"}, true},
	"a query was not sent":                    {slog.LevelWarn, "agent: failed to start user query: %v", []string{"error"}, false},
	"installing a key on all members":         {slog.LevelInfo, "agent: Initiating key installation", nil, true},
	"changing the primary key on all members": {slog.LevelInfo, "agent: Initiating primary key change", nil, true},
	"removing a key on all members":           {slog.LevelInfo, "agent: Initiating key removal", nil, true},
	"listing the keys of all members":         {slog.LevelInfo, "agent: Initiating key listing", nil, true},

	// Events and scripts.
	"event received":                              {slog.LevelInfo, "agent: Received event: %s", []string{"event"}, true},
	"event handler ran":                           {slog.LevelDebug, "agent: Event '%s' script output: %s", []string{"type", "printed"}, true},
	"event handler failed":                        {slog.LevelError, "agent: Error invoking script '%s': %s", []string{"script", "error"}, true},
	"event handler is slow":                       {slog.LevelWarn, "agent: Script '%s' slow, execution exceeding %v", []string{"script", "running"}, true},
	"event handler wrote much, its output is cut": {slog.LevelWarn, "agent: Script '%s' generated %d bytes of output, truncated to %d", []string{"script", "bytes", "kept"}, true},
	"query was not answered by a script":          {slog.LevelWarn, "agent: Failed to respond to query '%s': %s", []string{"event", "error"}, true},

	// RPC. Clients could flood the log with what they do wrong, so those lines stay
	// sampled.
	"rpc: client accepted":                     {slog.LevelInfo, "agent.ipc: Accepted client: %v", []string{"client"}, true},
	"rpc: leave requested":                     {slog.LevelInfo, "agent.ipc: Graceful leave triggered", nil, true},
	"rpc: leave failed":                        {slog.LevelError, "agent.ipc: leave failed: %v", []string{"error"}, true},
	"rpc: cannot accept clients, trying again": {slog.LevelError, "agent.ipc: Failed to accept client: %v", []string{"error"}, false},
	"rpc: a client has not shown a right key":  {slog.LevelWarn, "agent.ipc: Client sending commands before auth", nil, false},
	"rpc: a request could not be read":         {slog.LevelError, "agent.ipc: failed to decode request header: %v", []string{"error"}, false},
	"rpc: a request was refused":               {slog.LevelError, "agent.ipc: Failed to evaluate request: %v", []string{"error"}, false},
}

// ForSerf is an attribute that only serf's wording of a line has: our own log leaves
// it out. The payload of an event is one. The log keeps it with the recent lines, so
// give it no more than some kilobytes.
func ForSerf(key string, value any) slog.Attr { return slog.Any(key, forSerf{value}) }

type forSerf struct{ value any }

// withoutSerfs leaves out an attribute of [ForSerf].
func withoutSerfs(a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindAny {
		if _, ok := a.Value.Any().(forSerf); ok {
			return slog.Attr{}
		}
	}
	return a
}

// say gives serf's wording of a record, and whether there is one. An attribute that
// is lacking makes none: our own words lose nothing.
func (w wording) say(rec *slog.Record, of []slog.Attr) (string, bool) {
	if w.format == "" {
		return "", false
	}
	args := make([]any, len(w.args))
	found := 0
	take := func(a slog.Attr) bool {
		for i, key := range w.args {
			if a.Key == key && args[i] == nil {
				args[i] = a.Value.Resolve().Any()
				if hidden, ok := args[i].(forSerf); ok {
					args[i] = hidden.value
				}
				found++
			}
		}
		return true
	}
	for _, a := range of {
		take(a)
	}
	rec.Attrs(take)
	if found < len(args) {
		return "", false
	}
	return oneLine(fmt.Sprintf(w.format, args...)), true
}

// asSerf tells whether l writes as serf does, and then how serf words msg.
func asSerf(l *slog.Logger, msg string) (wording, bool) {
	h, ok := l.Handler().(*logHandler)
	if !ok || !h.hub.serf {
		return wording{}, false
	}
	w, ok := serfWords[msg]
	return w, ok
}

// EventLogger returns a logger for what stock serf logs of each event. As serf it
// does what [Hub.Logger] does. Otherwise such lines are debug lines that nobody may
// want, and it does what [Hub.LiveLogger] does.
func (h *Hub) EventLogger() *slog.Logger {
	return slog.New(&logHandler{hub: h, out: h.out, live: !h.serf})
}
