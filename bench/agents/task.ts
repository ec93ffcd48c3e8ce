/** What every side does: asked for the weather, the model calls one tool and then answers. */
export const PROMPT = "What is the weather in Lagos?"
export const CITY = "Lagos"
export const ANSWER = "It is 18 C and cloudy in Lagos."

export const describeWeather = (city: string): string => `18 C and cloudy in ${city}`
