package cluster

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"agentctl/rpcclient"
	"agentctl/rpcclient/wire"
	"agentctl/scripts/testkit"

	serfclient "github.com/hashicorp/serf/client"
)

// talker is a client of serf's RPC, the stock Go client or ours. What it
// returns is in one form, so that the two can be compared.
type talker interface {
	event(name, payload string, coalesce bool) error
	members() ([]string, error)
	membersFiltered(tags map[string]string, status, name string) ([]string, error)
	tags(set map[string]string, remove []string) error
	join(addr string) (int, error)
	forceLeave(node string, prune bool) error
	// stream returns once the agent has subscribed the client. Before stop is
	// called nothing may be on its way any more: the stock client closes its
	// channels while it may be sending on them.
	stream(filter string) (next func() heard, stop func() error, err error)
	monitor(level string) (next func() string, stop func() error, err error)
	// query returns what comes until the query's end, sorted.
	query(q wire.QueryRequest) ([]string, error)
	respond(id uint64, payload string) error
	key(verb, key string) (string, error) // verb is install, use, remove or list
	coordinate(node string) (string, error)
	stats() (map[string]map[string]string, error)
	leave() error
	close()
}

// heard is a record of a stream.
type heard struct {
	event, name, payload string
	coalesce, timed      bool     // timed: with a Lamport time
	members              []string // name and status
	id                   uint64
}

// talkers dial an agent with either client.
var talkers = map[string]func(t *testing.T, addr, key string) (talker, error){
	"stock client": func(t *testing.T, addr, key string) (talker, error) {
		c, err := serfclient.ClientFromConfig(&serfclient.Config{Addr: addr, AuthKey: key})
		if err != nil {
			return nil, plain(err)
		}
		return &stockTalker{t, c}, nil
	},
	"our client": func(t *testing.T, addr, key string) (talker, error) {
		c, err := rpcclient.Dial(t.Context(), rpcclient.Config{Addr: addr, AuthKey: key, StreamBuffer: 1 << 16})
		if err != nil {
			return nil, plain(err)
		}
		return &ourTalker{t, c}, nil
	},
}

// errNoAnswer is the error of a request whose connection ended.
var errNoAnswer = errors.New("the connection ended with no answer")

// plain is an error as the agent gave it, or errNoAnswer.
func plain(err error) error {
	if err == nil {
		return nil
	}
	if remote, ok := errors.AsType[*rpcclient.RemoteError](err); ok {
		return errors.New(remote.Text)
	}
	if errors.Is(err, rpcclient.ErrLostReply) || err.Error() == "client closed" { // the latter is the stock client's
		return errNoAnswer
	}
	return err
}

// await takes from a channel, with patience.
func await[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v, ok := <-c:
		if !ok {
			t.Fatalf("the channel of %s is closed", what)
		}
		return v
	case <-time.After(testkit.Patience):
		t.Fatalf("no %s has come after %v", what, testkit.Patience)
	}
	return v
}

// keyText is the answer to a command on keys.
func keyText(messages map[string]string, keys map[string]int, nodes int) string {
	return fmt.Sprintf("messages %q, keys %v on %d nodes", messages, keys, nodes) // maps are printed in order
}
