package ops

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"agentctl/agent/api"
	"agentctl/agent/publish"
	"agentctl/handler"
)

// publishWait is how long a publish over HTTP may take: for a join that is
// under way, or for room where the journal does not take events in time. The
// connection is closed after 30 s.
const publishWait = 20 * time.Second

// publish publishes an event for a client.
func (s *Server) publish(r *http.Request) (int, any, error) {
	event, err := s.publishRequest(r)
	if err != nil {
		return 0, nil, err
	}
	payload := event.PayloadBase64
	if len(payload) == 0 {
		payload = []byte(event.Payload)
	}
	ctx, cancel := context.WithTimeout(r.Context(), publishWait)
	defer cancel()
	sent, err := s.cfg.Publish(ctx, event.Name, payload, event.Coalesce)
	if err != nil {
		return 0, nil, publishError(err)
	}
	return http.StatusAccepted, api.PublishReport{
		ID:   handler.UserID(uint64(sent.LTime), handler.Sum(event.Name, payload)),
		Name: event.Name, LTime: uint64(sent.LTime), Unreached: sent.Unreached, Warning: sent.Warning,
	}, nil
}

func publishError(err error) error {
	if _, ok := errors.AsType[*publish.SizeError](err); ok {
		return errorf(http.StatusRequestEntityTooLarge, "%v", err)
	}
	switch {
	case errors.Is(err, publish.ErrReserved):
		return errorf(http.StatusBadRequest, "%v", err)
	case errors.Is(err, publish.ErrStopping):
		return errorf(http.StatusServiceUnavailable, "%v", err)
	case errors.Is(err, context.DeadlineExceeded):
		return errorf(http.StatusServiceUnavailable, "the agent did not take the event within %v, and does not send it: try again", publishWait)
	}
	return err
}

// publishRequest reads the event of a request: the body is the payload where
// the query has a name, else it is a [api.PublishRequest].
func (s *Server) publishRequest(r *http.Request) (event api.PublishRequest, err error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return event, errorf(http.StatusBadRequest, "the query cannot be read: %v", err)
	}
	for key, values := range query {
		switch {
		case key != "name" && key != "coalesce":
			return event, errorf(http.StatusBadRequest, "unknown parameter %q: there are name and coalesce", key)
		case len(values) > 1:
			return event, errorf(http.StatusBadRequest, "%s is given %d times: give it once", key, len(values))
		case key == "coalesce":
			if event.Coalesce, err = strconv.ParseBool(values[0]); err != nil {
				return event, errorf(http.StatusBadRequest, "coalesce: %q is not true or false", values[0])
			}
		}
	}
	switch {
	case query.Has("name"):
		event.Name = query.Get("name")
		event.PayloadBase64, err = s.readPayload(r)
	case query.Has("coalesce"):
		err = errorf(http.StatusBadRequest, "coalesce is given, and no name: give both in the query, or both in the JSON body")
	default:
		err = readRequest(r, &event)
	}
	switch {
	case err != nil:
	case event.Name == "":
		err = errorf(http.StatusBadRequest, "the event has no name: give one, as name in the query or in the JSON body")
	case event.Payload != "" && len(event.PayloadBase64) > 0:
		err = errorf(http.StatusBadRequest, "payload and payload_base64 are both given: give one")
	}
	return event, err
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
