package rpcclient

import (
	"context"
	"iter"

	"agentctl/rpcclient/wire"
)

// Event publishes a user event. The agent limits the size of name and payload
// and answers a larger one with an error. With coalesce, an agent may receive
// several events of this name at about the same time and pass on just the last.
func (c *Client) Event(ctx context.Context, name string, payload []byte, coalesce bool) error {
	_, err := c.Publish(ctx, name, payload, coalesce)
	return err
}

// Published is what an agentctl agent tells of an event that it has taken.
type Published = wire.Published

// Publish is Event, and also returns what an agentctl agent tells of the event: its
// ID, the agent's operations endpoint, and a warning about an event that is too large
// for serf. The agent has taken such an event, and names the members that are known
// not to get it. That may take two seconds. Stock agents tell nothing.
func (c *Client) Publish(ctx context.Context, name string, payload []byte, coalesce bool) (Published, error) {
	k := newCall[nothing](c, wire.Event)
	if err := c.send(ctx, k, wire.EventRequest{Name: name, Payload: payload, Coalesce: coalesce}); err != nil {
		return Published{}, err
	}
	return k.published(ctx)
}

// ForceLeave turns a failed member into one that has left. With prune, the agent
// also removes it from the list of members. An unknown node is no error.
func (c *Client) ForceLeave(ctx context.Context, node string, prune bool) error {
	return simple(ctx, c, wire.ForceLeave, wire.ForceLeaveRequest{Node: node, Prune: prune})
}

// Join makes the agent join a cluster through the given addresses. It returns how
// many the agent reached, also beside a [*RemoteError]. With replay, the agent
// takes events of the past too.
func (c *Client) Join(ctx context.Context, addrs []string, replay bool) (int, error) {
	resp, err := roundTrip[wire.JoinResponse](ctx, c, wire.Join, wire.JoinRequest{Existing: addrs, Replay: replay})
	return int(resp.Num), err
}

// Members returns all members that the agent knows.
func (c *Client) Members(ctx context.Context) ([]wire.Member, error) {
	resp, err := roundTrip[wire.MembersResponse](ctx, c, wire.Members, nil)
	return resp.Members, err
}

// MembersFiltered returns the members that match. On a bad regular expression
// stock agents close the connection without an answer, which is [ErrLostReply].
func (c *Client) MembersFiltered(ctx context.Context, filter wire.MembersFilteredRequest) ([]wire.Member, error) {
	resp, err := roundTrip[wire.MembersResponse](ctx, c, wire.MembersFiltered, filter)
	return resp.Members, err
}

// Leave has the agent leave its cluster and shut down. It returns when the
// agent has left, which takes seconds.
func (c *Client) Leave(ctx context.Context) error {
	return simple(ctx, c, wire.Leave, nil)
}

// UpdateTags sets and removes tags of the agent's node.
func (c *Client) UpdateTags(ctx context.Context, set map[string]string, remove []string) error {
	return simple(ctx, c, wire.Tags, wire.TagsRequest{Tags: set, DeleteTags: remove})
}

// Query asks the cluster. It returns once the agent has sent the query out. The
// acknowledgements and responses then come as records, until the query's timeout
// or the end of ctx. Loop over the records once, or cancel ctx. If there is an
// error, the loop's last step carries it.
func (c *Client) Query(ctx context.Context, query wire.QueryRequest) (iter.Seq2[wire.QueryRecord, error], error) {
	records, err := subscribe(ctx, c, wire.Query, query, func(r wire.QueryRecord) bool {
		return r.Type == wire.QueryDone
	})
	if err != nil {
		return nil, err
	}
	return func(yield func(wire.QueryRecord, error) bool) {
		for r, err := range records {
			// At the deadline a stock agent reads channels that it has closed,
			// and sends records from nobody.
			if err == nil && r.From == "" {
				continue
			}
			if !yield(r, err) {
				return
			}
		}
	}, nil
}

// Respond answers a query that came on a [Client.Stream] of this client.
func (c *Client) Respond(ctx context.Context, id uint64, payload []byte) error {
	return simple(ctx, c, wire.Respond, wire.RespondRequest{ID: id, Payload: payload})
}

// InstallKey adds a gossip key (base64) to every member's keyring. The response
// names the members that failed, also beside a [*RemoteError]. The other key
// commands do the same.
func (c *Client) InstallKey(ctx context.Context, key string) (wire.KeyResponse, error) {
	return roundTrip[wire.KeyResponse](ctx, c, wire.InstallKey, wire.KeyRequest{Key: key})
}

// UseKey makes an installed gossip key the one that members encrypt with.
func (c *Client) UseKey(ctx context.Context, key string) (wire.KeyResponse, error) {
	return roundTrip[wire.KeyResponse](ctx, c, wire.UseKey, wire.KeyRequest{Key: key})
}

// RemoveKey removes a gossip key from every member's keyring.
func (c *Client) RemoveKey(ctx context.Context, key string) (wire.KeyResponse, error) {
	return roundTrip[wire.KeyResponse](ctx, c, wire.RemoveKey, wire.KeyRequest{Key: key})
}

// ListKeys returns the gossip keys and how many members hold each.
func (c *Client) ListKeys(ctx context.Context) (wire.KeyResponse, error) {
	return roundTrip[wire.KeyResponse](ctx, c, wire.ListKeys, nil)
}

// Stats returns the agent's statistics by group and name.
func (c *Client) Stats(ctx context.Context) (map[string]map[string]string, error) {
	return roundTrip[map[string]map[string]string](ctx, c, wire.Stats, nil)
}

// Coordinate returns the network coordinate of a node. It returns false if the
// agent knows none.
func (c *Client) Coordinate(ctx context.Context, node string) (wire.Coordinate, bool, error) {
	resp, err := roundTrip[wire.CoordinateResponse](ctx, c, wire.GetCoordinate, wire.CoordinateRequest{Node: node})
	return resp.Coord, resp.Ok, err
}

// Stream subscribes to events that match filter, such as
// "user:kong,member-join"; "*" or "" is all. It returns once the agent has
// subscribed the client. A stock agent registers the stream just after it has
// answered, so the client may miss an event of that instant.
//
// Loop over the events once, or cancel ctx: either unsubscribes. The client stays
// usable after the loop. A step of the loop may carry an [*OverflowError], and the
// loop goes on. With any other error the step is the last: the error is ctx's, or
// says why the connection ended.
func (c *Client) Stream(ctx context.Context, filter string) (iter.Seq2[wire.StreamRecord, error], error) {
	return subscribe[wire.StreamRecord](ctx, c, wire.Stream, wire.StreamRequest{Type: filter}, nil)
}

// Monitor subscribes to the agent's log from level on (TRACE, DEBUG, INFO,
// WARN, ERR). It begins with the most recent lines of the past. Otherwise it is
// like [Client.Stream]. An agent has one monitor for each connection.
func (c *Client) Monitor(ctx context.Context, level string) (iter.Seq2[string, error], error) {
	records, err := subscribe[wire.LogRecord](ctx, c, wire.Monitor, wire.MonitorRequest{LogLevel: level}, nil)
	if err != nil {
		return nil, err
	}
	return func(yield func(string, error) bool) {
		for r, err := range records {
			if !yield(r.Log, err) {
				return
			}
		}
	}, nil
}
