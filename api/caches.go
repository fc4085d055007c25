package api

import (
	"encoding/json"
	"net/http"

	"github.com/freshet/freshet"
	"github.com/freshet/freshet/cache"
)

type (
	// purgedTags names what is to be ended wherever it is cached.
	purgedTags struct {
		Tags []string `json:"tags" minItems:"1" maxItems:"100" nullable:"false" doc:"What bears one of these ends, in all spaces"`
	}
	// CacheSpaces are what the spaces of the node that answers have done since it started, and how it stands with the layer
	// that nodes share.
	CacheSpaces struct {
		Items []cache.Stats `json:"items" nullable:"false"`
		Layer cache.Health  `json:"layer"`
	}
)

// maxTag is the longest tag, in bytes.
const maxTag = 1024

func (a *API) cacheRoutes() []route {
	const space, key = "/v1/admin/caches/{space}", "/v1/admin/caches/{space}/{key}"
	return []route{
		{
			method: "GET", path: "/v1/admin/caches", id: "list-caches", tag: "admin", summary: "The spaces of the caches, and what each has done",
			need: someAdmin, status: http.StatusOK, out: answerOf[CacheSpaces](a), serve: listCaches,
		},
		{
			method: "GET", path: key, id: "get-cached", tag: "admin", summary: "What each layer holds under a key",
			about: "It changes nothing. Keys are what the API calls ids; `fresh_for` is in nanoseconds.",
			need:  someAdmin, status: http.StatusOK, out: answerOf[cache.Inspection](a), serve: getCached,
		},
		{
			method: "DELETE", path: key, id: "purge-cached", tag: "admin", summary: "End what is cached under a key",
			about: "On all nodes: the next read asks the store.",
			need:  someAdmin, status: http.StatusNoContent,
			serve: func(c *call) error {
				return c.api.options.Caches.CachePurge(c.ctx(), c.r.PathValue("space"), c.r.PathValue("key"))
			},
		},
		{
			method: "DELETE", path: space, id: "purge-cache", tag: "admin", summary: "End all that a space holds",
			about: "On all nodes.",
			need:  someAdmin, status: http.StatusNoContent,
			serve: func(c *call) error { return c.api.options.Caches.CachePurgeSpace(c.ctx(), c.r.PathValue("space")) },
		},
		{
			method: "POST", path: "/v1/admin/caches/purge", id: "purge-tags", tag: "admin", summary: "End all that bears a tag",
			about: "In all spaces and on all nodes. An error says that some of the tags may have been purged.",
			need:  someAdmin, in: bodyOf[purgedTags](a), status: http.StatusNoContent, serve: purgeTags,
		},
	}
}

func listCaches(c *call) error {
	stats, err := c.api.options.Caches.CacheStats(c.ctx())
	if err != nil {
		return err
	}
	health, err := c.api.options.Caches.CacheHealth(c.ctx())
	if err != nil {
		return err
	}
	return c.marshal(CacheSpaces{stats, health})
}

func getCached(c *call) error {
	in, err := c.api.options.Caches.CacheGet(c.ctx(), c.r.PathValue("space"), c.r.PathValue("key"))
	if err != nil {
		return err
	}
	return c.marshal(in)
}

func purgeTags(c *call) error {
	var in purgedTags
	if err := c.decode(&in); err != nil {
		return err
	}
	for _, tag := range in.Tags { // each before the first is purged
		if tag == "" || len(tag) > maxTag {
			return freshet.Invalid("tags", "must be of 1 to %d bytes each", maxTag)
		}
	}
	for _, tag := range in.Tags {
		if err := c.api.options.Caches.CachePurgeTag(c.ctx(), tag); err != nil {
			return err
		}
	}
	return nil
}

// marshal answers with a value of which speed is not asked.
func (c *call) marshal(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.json(append(c.buf, text...))
}
