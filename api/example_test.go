package api_test

import (
	"encoding/json"
	"fmt"

	"github.com/freshet/freshet/api"
)

// A client decides by the code, and shows people the detail.
func ExampleProblem() {
	answer := `{"type":"/docs#invalid","title":"Invalid field","status":422,"detail":"text is longer than 5000 characters","code":"invalid","field":"text"}`

	var p api.Problem
	if err := json.Unmarshal([]byte(answer), &p); err != nil {
		panic(err)
	}
	switch p.Code {
	case "invalid":
		fmt.Printf("mark the field %s: %s\n", p.Field, p.Detail)
	case "rate_limited", "unavailable":
		fmt.Println("try again later")
	}
	// Output: mark the field text: text is longer than 5000 characters
}
