package ops

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"time"

	"agentctl/agent/api"
	"agentctl/agent/durable"
	"agentctl/agent/publish"
)

// publishWait is how long a publish over HTTP may take, unless the client says so: for
// a join that is under way, or for room where the journal does not take events in
// time. The connection is closed after 30 s.
const publishWait = 20 * time.Second

// durability is what a client asks for beside the event.
type durability struct {
	nodes int           // that are to have the event on their disks; 0 for a plain publish
	wait  time.Duration // for the whole publish
}

// publish publishes an event for a client.
func (s *Server) publish(r *http.Request) (int, any, error) {
	event, asked, err := s.publishRequest(r)
	if err != nil {
		return 0, nil, err
	}
	payload := payloadOf(&event)
	if asked.nodes > 0 {
		leave, ok := s.durable.Enter(clientOf(r))
		if !ok {
			return 0, nil, errorf(http.StatusServiceUnavailable, "too many durable publishes wait already, %d for each address at most, and this one is not published: try again", api.MaxDurableWaiting)
		}
		defer leave()
	}
	ctx, cancel := context.WithTimeout(r.Context(), asked.wait)
	defer cancel()
	sent, durably, err := s.cfg.Publish(ctx, asked.nodes, event.Name, payload, event.Coalesce)
	if err != nil {
		return 0, nil, publishError(err, asked.wait)
	}
	report := api.PublishReport{
		ID: sent.ID(), Name: event.Name, LTime: uint64(sent.LTime), Unreached: sent.Unreached, Warning: sent.Warning,
	}
	if asked.nodes == 0 {
		return http.StatusAccepted, report, nil
	}
	report.Durable = &api.DurableReport{Wanted: asked.nodes, Have: len(durably.Have), Nodes: slices.Concat([]string{}, durably.Have)}
	if durably.Reached() {
		return http.StatusOK, report, nil
	}
	report.Durable.Missing = durably.Missing
	return http.StatusAccepted, report, nil
}

func publishError(err error, wait time.Duration) error {
	if _, ok := errors.AsType[*durable.TooFewError](err); ok {
		return errorf(http.StatusConflict, "%v", err)
	}
	if _, ok := errors.AsType[*publish.SizeError](err); ok {
		return errorf(http.StatusRequestEntityTooLarge, "%v", err)
	}
	switch {
	case errors.Is(err, publish.ErrReserved):
		return errorf(http.StatusBadRequest, "%v", err)
	case errors.Is(err, publish.ErrStopping):
		return errorf(http.StatusServiceUnavailable, "%v", err)
	case errors.Is(err, context.DeadlineExceeded):
		return errorf(http.StatusServiceUnavailable, "the agent did not take the event within %v, and does not send it: try again", wait)
	}
	return err
}

// publishRequest reads the event of a request: the body is the payload where
// the query has a name, else it is a [api.PublishRequest].
func (s *Server) publishRequest(r *http.Request) (event api.PublishRequest, asked durability, err error) {
	query, err := parameters(r, "name", "coalesce", "durable", "wait")
	if err != nil {
		return event, asked, err
	}
	if asked, err = readDurability(query); err != nil {
		return event, asked, err
	}
	name, named := query["name"]
	coalesce, coalesces := query["coalesce"]
	if coalesces {
		if event.Coalesce, err = strconv.ParseBool(coalesce); err != nil {
			return event, asked, errorf(http.StatusBadRequest, "coalesce: %q is not true or false", coalesce)
		}
	}
	switch {
	case named:
		event.Name = name
		event.PayloadBase64, err = s.readPayload(r)
	case coalesces:
		err = errorf(http.StatusBadRequest, "coalesce is given, and no name: give both in the query, or both in the JSON body")
	default:
		err = readRequest(r, &event)
	}
	if err == nil {
		err = complete(&event)
	}
	return event, asked, err
}

// complete tells whether a request has all that an event needs.
func complete(event *api.PublishRequest) error {
	switch {
	case event.Name == "":
		return errorf(http.StatusBadRequest, "the event has no name: give one, as name in the query or in the JSON body")
	case event.Payload != "" && len(event.PayloadBase64) > 0:
		return errorf(http.StatusBadRequest, "payload and payload_base64 are both given: give one")
	}
	return nil
}

// payloadOf is the payload of an event, whichever field has it.
func payloadOf(event *api.PublishRequest) []byte {
	if len(event.PayloadBase64) > 0 {
		return event.PayloadBase64
	}
	return []byte(event.Payload)
}

// readDurability reads how durable an event is to be.
func readDurability(query map[string]string) (asked durability, err error) {
	asked.wait = publishWait
	nodes, durable := query["durable"]
	wait, waits := query["wait"]
	switch {
	case !durable && waits:
		return asked, errorf(http.StatusBadRequest, "wait is given without durable: a plain publish waits for no node")
	case !durable:
		return asked, nil
	}
	if asked.nodes, err = strconv.Atoi(nodes); err != nil || asked.nodes < 1 || asked.nodes > api.MaxDurable {
		return asked, errorf(http.StatusBadRequest, "durable: %q is not a number of nodes from 1 to %d", nodes, api.MaxDurable)
	}
	asked.wait = api.DurableWait
	if waits {
		if asked.wait, err = time.ParseDuration(wait); err != nil || asked.wait <= 0 || asked.wait > api.MaxNodesWait {
			return asked, errorf(http.StatusBadRequest, "wait: %q is not a duration above 0s and up to %v", wait, api.MaxNodesWait)
		}
	}
	return asked, nil
}

// formTypes are those of bodies that a page of any other origin may send, by a
// form or a script, without this agent being asked.
var formTypes = []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"}

// readPayload reads a body as it is.
func (s *Server) readPayload(r *http.Request) ([]byte, error) {
	if typ, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); slices.Contains(formTypes, typ) {
		return nil, errorf(http.StatusUnsupportedMediaType,
			"a body of type %q may come from a web page's form: send the payload with Content-Type: application/octet-stream, or another type that no form has", typ)
	}
	limit := s.cfg.MaxEvent
	payload, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, int64(limit)))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, errorf(http.StatusRequestEntityTooLarge,
			"the payload has more than %d bytes, the limit: send less, or raise max_event_size on the agent (to at most %d)", limit, s.cfg.Ceiling)
	}
	if err != nil {
		return nil, errorf(http.StatusBadRequest, "the body did not come whole: %v", err)
	}
	return payload, nil
}
