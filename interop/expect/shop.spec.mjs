import { expect, test } from "@playwright/test";

import { cases } from "./cases.mjs";

cases(test, expect);
