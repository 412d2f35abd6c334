package openmhealth_test

// numbers and identifiers go into a point as they are spelled here.
func spelled() []string {
	var points []string
	for _, number := range []string{
		"0", "-0", "0.0", "1E2", "1e+2", "100e-2", "5e1", "12345678901234567890123456789012345", "1234567890123456789012345678901234",
		"0.1234567890123456789012345678901234", "0.12345678901234567890123456789012345", "1e33", "1e34", "1e-34", "1e-35", "1e400", "1e-400", "-1e999",
		"123456789012345678901234567890.12345", "1000000000000000000000000000000000000", "1.0000000000000000000000000000000000000000",
	} {
		points = append(points, `{"header":{"id":"n-1","creation_date_time":"2026-05-04T07:25:00Z","schema_id":{"namespace":"omh","name":"step-count","version":"1.0"}},`+
			`"body":{"step_count":`+number+`}}`)
		points = append(points, `{"header":{"id":"n-1","creation_date_time":"2026-05-04T07:25:00Z","schema_id":{"namespace":"omh","name":"sleep-episode","version":"1.1"}},`+
			`"body":{"number_of_awakenings":`+number+`,"effective_time_frame":{"time_interval":{"date":"2026-05-04","part_of_day":"night"}}}}`)
		points = append(points, `{"header":{"id":"n-1","creation_date_time":"2026-05-04T07:25:00Z","schema_id":{"namespace":"omh","name":"rr-interval","version":"1.0"}},`+
			`"body":{"rr_interval":{"value":800,"unit":"ms"},"effective_time_frame":{"time_interval":{"end_date_time":"2026-05-04T07:25:00Z","duration":{"value":`+number+`,"unit":"sec"}}}}}`)
	}
	for _, reference := range []string{
		"", "a", "/a", "//a", "a:", "a:b", "1a:b", "a+.-1:b", "é:b", "http:", "http:/", "http://", "http:///a", "http://a", "http://a:80", "http://a:b", "http://a:",
		"http://u@a", "http://u:p@a/", "http://u@p@a/", "http://[::1", "http://[1::2::3]/", "http://[::1%25eth0]/", "http://[v1.a:b]/",
		"http://[1.2.3.4]/", "http://[]/", "http://[1:2:3:4:5:6:7::]/", "http://[::2:3:4:5:6:7:8]/", "http://1.2.3.4/", "http://999.1.1.1/",
		"http://a/b c", "http://a/%20", "http://a/%2", "http://a/%zz", "http://a/\\\\", "http://a/\\\"", "http://a/<b>", "http://a/{b}", "http://a/[b]", "http://a/b|c", "http://a/b^c", "http://a/`",
		"http://a?b", "http://a#b", "http://a?b?c#d?e", "http://a#b#c", "http://a/?b/c:@", "http://a//b", "http://a/b/../c", "urn:isbn:0451450523", "urn:uuid:0b3c", "mailto:a@b.c", "data:,x",
		"http://é/", "http://a/é", "http://a/é?ü#ö", "http://a/\\ue000", "http://a/?\\ue000", "http://a/#\\ue000", "http://a/\\ufdd0", "http://a/\\ufff0", "http://a/\\u0080",
		"http://a/\\u00a0", "http://a/\\ud83f\\udffe", "http://a/\\udb40\\udc01", "http://a/\\u202e", "http://a\\n", "http://a/b\\n", " http://a", "http://a ", "http://a/\\u0000",
		"http://a/b'c!(d)*+,;=~._-$&", "HTTP://A/", "file:///etc", "a:/", "a://b", "a:?b", "a:#b", "a:@", "a::", "a:b:c", "http://a_b/", "http://-/", "http://.", "http://%61/",
	} {
		points = append(points, `{"header":{"uuid":"0b3c6f0e-5a5b-4c8e-9d2f-0a1b2c3d4e5f","source_creation_date_time":"2026-05-04T07:25:00Z","schema_id":{"namespace":"omh","name":"step-count","version":"1.0"},`+
			`"external_datasheets":[{"datasheet_reference":"`+reference+`"}]},"body":{"step_count":1}}`)
		points = append(points, `{"header":{"id":"n-1","creation_date_time":"2026-05-04T07:25:00Z","schema_id":{"namespace":"omh","name":"step-count","version":"1.0","url":"`+reference+`"}},"body":{"step_count":1}}`)
	}
	return points
}
