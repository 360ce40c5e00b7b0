package simln

import "slices"

// subsystems of the wait command, with the member that describes the object which moved the index.
var subsystems = []string{"invoices", "forwards", "sendpays", "htlcs", "chainmoves", "channelmoves", "networkevents"}

func (n *Node) indexes(subsystem string) *indexes {
	m := n.st.meta
	if m.Indexes[subsystem] == nil {
		m.Indexes[subsystem] = &indexes{}
	}
	n.st.put(m)
	return m.Indexes[subsystem]
}

func (x *indexes) created() uint64 { x.Created++; return x.Created }
func (x *indexes) updated() uint64 { x.Updated++; return x.Updated }

func (x *indexes) get(name string) uint64 {
	switch name {
	case "created":
		return x.Created
	case "updated":
		return x.Updated
	}
	return x.Deleted
}

// cmdWait answers when the index has reached nextvalue: at once with the index alone if it is there already,
// else with the object that moved it.
func (n *Node) cmdWait(c *command) (any, error) {
	subsystem, name, next := c.str("subsystem"), c.str("indexname"), c.uintOr("nextvalue", 0)
	if !slices.Contains(subsystems, subsystem) {
		return nil, failf(codeInvalidParams, "subsystem: should be one of the subsystems: invalid token '%s'", c.values["subsystem"])
	}
	if !slices.Contains([]string{"created", "updated", "deleted"}, name) {
		return nil, failf(codeInvalidParams, "indexname: should be created, updated or deleted: invalid token '%s'", c.values["indexname"])
	}
	if v := n.indexes(subsystem).get(name); v >= next {
		return obj("subsystem", subsystem, name, v), nil
	}
	n.indexWaiters = append(n.indexWaiters, &indexWaiter{c, subsystem, name, next})
	return nil, errLater
}

type indexWaiter struct {
	c               *command
	subsystem, name string
	next            uint64
}

// indexMoved answers the wait commands that the step of an index was for.
func (n *Node) indexMoved(subsystem, name string, details *object) {
	v := n.indexes(subsystem).get(name)
	n.indexWaiters = slices.DeleteFunc(n.indexWaiters, func(w *indexWaiter) bool {
		if w.subsystem != subsystem || w.name != name || w.next > v {
			return false
		}
		w.c.reply(obj("subsystem", subsystem, name, v, subsystem, details))
		return true
	})
}

// checkPaging refuses start and limit without index, as lightningd does.
func checkPaging(c *command) error {
	if !c.has("index") {
		if c.has("start") || c.has("limit") {
			return failf(codeInvalidParams, "Can only specify {start} or {limit} with {index}")
		}
		return nil
	}
	if name := c.str("index"); name != "created" && name != "updated" {
		return failf(codeInvalidParams, "index: should be 'created' or 'updated': invalid token '%s'", c.values["index"])
	}
	return nil
}

// page picks rows by index, start and limit; rows come in order of their created index.
func page[T any](c *command, rows []T, index func(T) (created, updated uint64)) []T {
	if !c.has("index") {
		return rows
	}
	byUpdate := c.str("index") == "updated"
	key := func(r T) uint64 {
		created, updated := index(r)
		if byUpdate {
			return updated
		}
		return created
	}
	start, limit := c.uintOr("start", 0), c.uintOr("limit", 1<<62)
	var out []T
	for _, r := range rows {
		if key(r) >= start && (!byUpdate || key(r) > 0) {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b T) int { return int(key(a)) - int(key(b)) })
	return out[:min(uint64(len(out)), limit)]
}
