package rpc

import (
	"fmt"
	"regexp"

	"github.com/hashicorp/serf/serf"

	"agentctl/rpcclient/wire"
)

// Limits of a members-filtered request. A regular expression is compiled into
// something much larger than its text.
const (
	maxPattern  = 1024 // bytes of one expression
	maxPatterns = 64
)

func (c *session) members(request[none]) (wire.MembersResponse, error) {
	return wire.MembersResponse{Members: wireMembers(c.backend.Cluster.Members())}, nil
}

func (c *session) membersFiltered(r request[wire.MembersFilteredRequest]) (wire.MembersResponse, error) {
	match, err := memberFilter(r.body)
	if err != nil {
		return wire.MembersResponse{}, err
	}
	var found []serf.Member
	for _, m := range c.backend.Cluster.Members() {
		if match(m) {
			found = append(found, m)
		}
	}
	return wire.MembersResponse{Members: wireMembers(found)}, nil
}

// memberFilter compiles a filter. It has stock serf's quirks: the anchors bind
// to the outer branches only, so that "a|b" matches "ax" and "xb"; an empty
// expression for a tag matches where the tag is empty or missing, one for the
// status or the name matches all.
func memberFilter(req wire.MembersFilteredRequest) (func(serf.Member) bool, error) {
	if len(req.Tags)+2 > maxPatterns {
		return nil, fmt.Errorf("too many tag filters: %d, the limit is %d", len(req.Tags), maxPatterns-2)
	}
	tags := make(map[string]*regexp.Regexp, len(req.Tags))
	for tag, expr := range req.Tags {
		re, err := compile(expr)
		if err != nil {
			return nil, err
		}
		tags[tag] = re
	}
	status, err := compile(req.Status)
	if err != nil {
		return nil, err
	}
	name, err := compile(req.Name)
	if err != nil {
		return nil, err
	}
	return func(m serf.Member) bool {
		for tag, re := range tags {
			if !re.MatchString(m.Tags[tag]) {
				return false
			}
		}
		return (req.Status == "" || status.MatchString(m.Status.String())) &&
			(req.Name == "" || name.MatchString(m.Name))
	}, nil
}

func compile(expr string) (*regexp.Regexp, error) {
	if len(expr) > maxPattern {
		return nil, fmt.Errorf("Failed to compile regex: it has %d bytes, the limit is %d", len(expr), maxPattern)
	}
	re, err := regexp.Compile("^" + expr + "$")
	if err != nil {
		return nil, fmt.Errorf("Failed to compile regex: %w", err)
	}
	return re, nil
}

func wireMembers(members []serf.Member) []wire.Member {
	out := make([]wire.Member, len(members))
	for i, m := range members {
		out[i] = wire.Member{
			Name:        m.Name,
			Addr:        m.Addr,
			Port:        m.Port,
			Tags:        m.Tags,
			Status:      m.Status.String(),
			ProtocolMin: m.ProtocolMin,
			ProtocolMax: m.ProtocolMax,
			ProtocolCur: m.ProtocolCur,
			DelegateMin: m.DelegateMin,
			DelegateMax: m.DelegateMax,
			DelegateCur: m.DelegateCur,
		}
	}
	return out
}
